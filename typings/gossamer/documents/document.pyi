from node.documents.document import *
