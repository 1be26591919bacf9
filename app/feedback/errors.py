from app.kit.errors import ConflictError, DomainError, ForbiddenError


class ReceiptForgedError(ForbiddenError):
    slug, title = "receipt-forged", "This receipt was not signed here"


class ReceiptForeignError(ForbiddenError):
    slug, title = "receipt-foreign", "This receipt belongs to another project"


class ReceiptExpiredError(DomainError):
    slug, status, title = "receipt-expired", 410, "This receipt has expired"


class ReceiptUsedError(ConflictError):
    slug, title = "receipt-used", "Somebody else has used this receipt"
