"""When is it answered? An accelerator in virtual time. What is answered is known elsewhere (paper 6.1, 6.4)."""
