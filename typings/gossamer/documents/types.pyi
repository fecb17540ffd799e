from node.documents.types import *
