from node.memory import *
