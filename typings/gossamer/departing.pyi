from node.departing import *
