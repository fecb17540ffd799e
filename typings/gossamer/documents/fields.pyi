from node.documents.fields import *
