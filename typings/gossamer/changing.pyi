from node.changing import *
