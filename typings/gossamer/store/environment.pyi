from node.store.environment import *
