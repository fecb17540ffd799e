from node.documents.mapof import *
