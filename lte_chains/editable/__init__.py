"""The parts of `EditableLLM`: what a call sends, to which view, through which entry point."""
