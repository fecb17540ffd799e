from node.beaten import *
