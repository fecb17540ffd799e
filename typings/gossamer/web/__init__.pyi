from node.web import *
