from node.ticket import *
