from node.store.draft import *
