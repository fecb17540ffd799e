from node.documents.schema import *
