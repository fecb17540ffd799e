from node.door import *
