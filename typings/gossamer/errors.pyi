from node.errors import *
