from node.readers import *
