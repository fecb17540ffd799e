from node.fork import *
