from node.store.witness import *
