from node.documents.binding import *
