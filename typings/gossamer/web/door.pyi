from node.web.door import *
