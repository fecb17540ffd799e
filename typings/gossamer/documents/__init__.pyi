from node.documents import *
