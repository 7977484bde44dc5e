"""What a visitor sees of patients: nothing that names one, unless the role or an admin allows it."""

from dataclasses import replace

from node.admin.sessions import Visitor
from node.state.rows import StudyRow
from node.state.search import Found, Page
from node.state.story import Story


def seen(study: StudyRow, visitor: Visitor) -> StudyRow:
    """The study as this visitor may see it."""
    return study if visitor.sees_names else replace(study, patient_id="", issuer="", accession=None)


def seen_page(page: Page, visitor: Visitor) -> Page:
    """A page of a search as this visitor may see it."""
    return replace(
        page, studies=tuple(Found(seen(one.study, visitor), one.outcome, one.routes) for one in page.studies)
    )


def seen_story(story: Story, visitor: Visitor) -> Story:
    """A study's story as this visitor may see it."""
    corrected = story.corrected if visitor.sees_names else None
    return replace(story, study=seen(story.study, visitor), corrected=corrected)
