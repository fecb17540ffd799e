from node.local import *
