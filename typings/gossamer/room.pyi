from node.room import *
