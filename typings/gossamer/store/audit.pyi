from node.store.audit import *
