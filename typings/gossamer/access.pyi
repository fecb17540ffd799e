from node.access import *
