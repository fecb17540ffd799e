from node.integrations import *
