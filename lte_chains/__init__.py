"""LTE knowledge editing for LangChain and LlamaIndex."""
