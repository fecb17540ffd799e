from node.scrub import *
