from node.store.upgrade import *
