from node.replica import *
