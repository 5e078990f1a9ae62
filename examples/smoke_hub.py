"""Check that the paper's embedder and a small instruct model work together on this machine.

    python examples/smoke_hub.py

Both are fetched from the hub (about 1.5 GB); `--embedder` and `--model` take other ids
or folders. Nothing is judged but that every part runs: an edit is stored, found,
put before the question, and dropped again.
"""

from __future__ import annotations

import argparse

from langchain_huggingface import HuggingFaceEmbeddings

from lte_chains import Edit, EditableLLM, EditMemory, load_model

QUESTION = "Who is the CEO of Acme?"


def main() -> None:
    """Run the parts one after the other; any failure ends the script with its error."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--embedder", default="sentence-transformers/multi-qa-mpnet-base-dot-v1")
    parser.add_argument("--model", default="Qwen/Qwen2.5-0.5B-Instruct")
    given = parser.parse_args()

    embeddings = HuggingFaceEmbeddings(model_name=given.embedder)
    model = load_model(given.model, max_new_tokens=16)
    with EditMemory.open(":memory:", embeddings=embeddings) as memory:
        # No threshold is known for every embedder, so the nearest edits are taken as they are.
        retriever = memory.as_retriever(k=3, gate=None)
        llm = EditableLLM(llm=model, retriever=retriever)
        edit = Edit(
            prompt="The CEO of Acme is", target_new="Jane Doe", subject="Acme", relation="CEO"
        )
        [edit_id] = memory.add_edits([edit])
        edited = llm.invoke(QUESTION)
        memory.retract([edit_id])
        plain = llm.invoke(QUESTION)
    print(f"embedder  {memory.fingerprint}")
    print(f"model     {model.model_name}")
    print(f"edited    {edited.text!r}, by {len(edited.response_metadata['lte']['edits'])} edit")
    print(f"retracted {plain.text!r}, by {len(plain.response_metadata['lte']['edits'])} edits")


if __name__ == "__main__":
    main()
