from node.store.operations import *
