"""Edit a hosted model: one whose weights nobody can touch, behind an OpenAI-compatible API.

    python examples/hosted_models.py --model gpt-5-mini
    python examples/hosted_models.py --model my-model --base-url http://localhost:8000/v1

The key is read from OPENAI_API_KEY; local servers mostly want none. Needs
``pip install "lte-chains[offline]" langchain-openai``.
"""

from __future__ import annotations

import argparse
import os

from langchain_openai import ChatOpenAI

from lte_chains import Edit, EditableLLM, EditMemory

EDIT = Edit(
    prompt="The capital of France is", target_new="Lyon", subject="France", relation="capital"
)
QUESTIONS = {
    "direct": "What is the capital of France?",
    "rephrased": "Which city is the capital of France?",
    "unrelated": "What is the capital of Japan?",
}


def ask_all(llm: EditableLLM) -> dict[str, str]:
    """Return the answer to each question, by its kind."""
    answers = llm.batch(list(QUESTIONS.values()))
    return dict(zip(QUESTIONS, (answer.text.strip() for answer in answers), strict=True))


def main(arguments: list[str] | None = None) -> None:
    """Ask before an edit, with it, and after it was retracted."""
    parser = argparse.ArgumentParser(description="Edit a hosted model.")
    parser.add_argument("--model", required=True, help="The model's name at the server.")
    parser.add_argument("--base-url", help="The server's address, if it is not OpenAI's.")
    options = parser.parse_args(arguments)

    hosted = ChatOpenAI(
        model=options.model,
        base_url=options.base_url,
        api_key=lambda: os.environ.get("OPENAI_API_KEY", "none"),
        temperature=0,
    )
    with EditMemory.open(":memory:") as memory:
        llm = EditableLLM(llm=hosted, retriever=memory.as_retriever(k=3))
        before = ask_all(llm)
        ids = memory.add_edits([EDIT])
        edited = ask_all(llm)
        streamed = "".join(chunk.text for chunk in llm.stream(QUESTIONS["direct"])).strip()
        memory.retract(ids)
        after = ask_all(llm)
    print(f"Edit: {EDIT.descriptor}")
    for kind, question in QUESTIONS.items():
        print(f"{kind}: {question}")
        print(f"    before: {before[kind]}")
        print(f"    edited: {edited[kind]}")
        print(f"    retracted: {after[kind]}")
    print(f"streamed: {streamed}")


if __name__ == "__main__":
    main()
