from node.config import *
