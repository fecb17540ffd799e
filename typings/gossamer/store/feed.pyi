from node.store.feed import *
