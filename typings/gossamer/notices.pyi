from node.notices import *
