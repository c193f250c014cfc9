"""The native part of linnet."""



def instruction_sets() -> list[str]:
    """
    Names of the instruction sets that this processor and its operating system offer, the
    oldest first: those of 'x86-64-v2', 'x86-64-v3', 'x86-64-v4', or 'neon' on arm64.
    """

def compiled_with() -> str:
    """
    Name and version of the compiler that built this module, such as 'GCC 12.2.0'.
    """
