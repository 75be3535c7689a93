"""Where the links in answers lead."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import RedirectResponse

from api.security import Reader

router = APIRouter(tags=["links"])


@router.get("/d/{document}", status_code=307, response_class=RedirectResponse)
def view(document: str, access: Reader) -> RedirectResponse:
    """To the image of the first page; which page a link means stands in its fragment, which servers are not sent."""
    return RedirectResponse(f"/v1/documents/{access.document(document).id}/pages/1/image", 307)
