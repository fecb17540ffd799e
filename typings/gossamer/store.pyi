from node.store import *
