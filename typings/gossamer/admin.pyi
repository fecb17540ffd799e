from node.admin import *
