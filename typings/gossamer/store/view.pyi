from node.store.view import *
