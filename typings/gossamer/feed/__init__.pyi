from node.feed import *
