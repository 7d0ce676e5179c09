
BlogitsJ("Ζ¤ΐpc7>§ΦA°M@ ¦—ΑVkΑm
Α”HΑν1bΑϊψΖΐ