"""Labels that our nodes carry in Ray."""

#: A node's address; a stage that a plan has placed asks for the node with it.
ADDRESS_LABEL = "flotilla/address"
#: Every Ray cluster gives this to its head node alone.
HEAD_RESOURCE = "node:__internal_head__"
