from node.documents.whole import *
