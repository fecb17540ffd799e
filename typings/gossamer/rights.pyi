from node.rights import *
