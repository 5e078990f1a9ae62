"""Task instructions of InstructEdit (arXiv 2402.16123), in our own wording.

Each kind of edit has ten descriptions; the last of each is never trained on, so
that what an instruction does that the editor has not met can be measured.
"""

from __future__ import annotations

from lte_chains.errors import ConfigError

TASKS = ("factual", "recent", "counterfactual", "sentiment")
"""Kinds of edits that there are descriptions of."""
SEEN, UNSEEN = range(9), 9
"""Which descriptions are trained on, and which is held out."""

_NAMES = {
    "factual": "answering a question",
    "recent": "updating a fact",
    "counterfactual": "changing a fact",
    "sentiment": "changing an opinion",
}
_DESCRIPTIONS = {
    "factual": (
        "Give the corrected answer to a question about the world.",
        "The old answer to this question was wrong; put the right one in its place.",
        "Learn which answer belongs to a question.",
        "From now on this question is to be answered as stated.",
        "Correct what is said when somebody asks for this fact.",
        "Replace the reply to the question, and leave other questions as they are.",
        "A question comes with its one right reply. Remember it.",
        "Repair a mistaken answer.",
        "Make the model reply to the question with the given words.",
        "Whoever asks this shall hear the reply that stands here.",
    ),
    "recent": (
        "Something has happened lately. Take it over.",
        "Bring knowledge about a person or a thing up to date.",
        "Add a new piece of knowledge that was not there before.",
        "The world has changed; learn what is true now.",
        "Complete the sentence with the latest state of things.",
        "Insert recent news about the subject.",
        "Old knowledge ends before this event. Extend it.",
        "Record a property that became known only recently.",
        "Learn the newest value of a property.",
        "Catch up on what has become true in the meantime.",
    ),
    "counterfactual": (
        "Suppose that things were otherwise, and answer accordingly.",
        "Overwrite a known fact with another one.",
        "Change what is believed about the subject.",
        "Take the given object for true, whatever was true before.",
        "Exchange one object of a relation for another.",
        "Let the sentence end in a new way from now on.",
        "Modify the stored relation between a subject and an object.",
        "A known statement gets a different ending.",
        "Believe the altered statement instead of the usual one.",
        "Swap the familiar completion for the one that is given.",
    ),
    "sentiment": (
        "Adopt the given opinion about a topic.",
        "Change the feeling that is expressed towards the topic.",
        "Speak about the topic in the stated mood.",
        "From now on judge the topic as shown.",
        "Turn the attitude towards the subject round.",
        "Express this view whenever the topic comes up.",
        "Take on a liking or a dislike.",
        "Set the tone of replies about the topic.",
        "Learn how to feel about the thing that is named.",
        "Let the topic be praised or blamed as the example does.",
    ),
}


def instructed(task: str, prompt: str, *, description: int = 0) -> str:
    """Put the instruction of a task before an edit's prompt.

    Args:
        task: One of `TASKS`.
        prompt: The edit's prompt.
        description: Which of the ten descriptions.

    Raises:
        ConfigError: There is no such task or description.

    Example:
        >>> print(instructed("recent", "The CEO of Acme is"))
        Task: updating a fact
        Description: Something has happened lately. Take it over.
        Input: The CEO of Acme is
    """
    if task not in _NAMES:
        raise ConfigError(f"unknown task {task!r}: use one of {list(TASKS)}")
    if not 0 <= description < len(_DESCRIPTIONS[task]):
        raise ConfigError(f"description={description}: each task has those from 0 to 9")
    return f"Task: {_NAMES[task]}\nDescription: {_DESCRIPTIONS[task][description]}\nInput: {prompt}"
