from node.store.feedpage import *
