from node.waiting import *
