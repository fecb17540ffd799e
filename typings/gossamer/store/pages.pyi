from node.store.pages import *
